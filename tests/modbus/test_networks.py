"""Which addresses a PLC may have; each row is a way to write one that it may not."""

import pytest

from devices.modbus.networks import Networks, parse

EVERYTHING = Networks(allowed=parse(("0.0.0.0/0", "::/0")))
PLANT = Networks(allowed=parse(("10.20.0.0/16", "fd12:3456::/32", "192.168.7.9")))


class TestANetwork:
    @pytest.mark.parametrize("address", ["10.20.0.1", "10.20.255.254", "fd12:3456::1", "192.168.7.9"])
    def test_holds_what_the_setting_names(self, address):
        assert PLANT.why_not(address) is None

    @pytest.mark.parametrize(
        "address",
        ["10.21.0.1", "192.168.7.8", "127.0.0.1", "::1", "8.8.8.8", "fd12:3457::1", "2001:db8::1", "::ffff:10.21.0.1"],
    )
    def test_holds_nothing_else_private_or_not(self, address):
        why = PLANT.why_not(address)
        assert address in why
        assert "is not within the networks that the setting PLC_NETWORKS allows (10.20.0.0/16, " in why
        assert "whoever runs the gateway can add it there" in why

    def test_is_none_where_the_setting_names_none(self):
        assert "(none so far)" in Networks(allowed=()).why_not("10.0.0.1")

    @pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1"])
    def test_is_this_computer_where_nobody_said_anything(self, address):
        assert Networks().why_not(address) is None
        assert Networks().why_not("10.0.0.1") is not None

    @pytest.mark.parametrize("text", ["10.0.0.1/8", "press-1", "10.0.0.0/33", "10.0.0.0-10.0.0.9", "fe80::1%eth0/64"])
    def test_that_is_none_is_told_with_the_name_of_the_setting(self, text):
        with pytest.raises(ValueError, match=r"PLC_NETWORKS: .* is no network such as"):
            parse([text])


class TestAnAddressThatNoPLCMayHave:
    """Whatever the setting says."""

    @pytest.mark.parametrize(
        ("address", "what"),
        [
            ("169.254.169.254", "metadata"),
            ("fd00:ec2::254", "metadata"),
            ("100.100.100.200", "metadata"),
            ("168.63.129.16", "metadata"),
            ("169.254.1.1", "link-local"),
            ("fe80::1", "link-local"),
            ("fe80::1%eth0", "link-local"),
            ("febf::1", "link-local"),
            ("0.0.0.0", "unspecified"),
            ("0.1.2.3", "unspecified"),
            ("::", "unspecified"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("ff02::1", "multicast"),
            ("255.255.255.255", "broadcast"),
        ],
    )
    def test_is_called_by_what_it_is(self, address, what):
        why = EVERYTHING.why_not(address)
        assert f"{address} is " in why
        assert what in why
        assert "whatever PLC_NETWORKS says" in why

    @pytest.mark.parametrize(
        "address",
        [
            "::ffff:169.254.169.254",
            "::ffff:a9fe:a9fe",
            "::ffff:169.254.169.254%eth0",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "2001:0:0:0:0:0:5601:5601",
        ],
    )
    def test_is_seen_through_what_it_is_written_in(self, address):
        why = EVERYTHING.why_not(address)
        assert "169.254.169.254" in why
        assert "metadata" in why

    @pytest.mark.parametrize("address", ["::ffff:0.0.0.0", "::ffff:224.0.0.1", "::ffff:255.255.255.255"])
    def test_is_seen_through_for_each_kind(self, address):
        assert EVERYTHING.why_not(address) is not None


class TestAnIPv4AddressWrittenAsIPv6:
    def test_is_judged_as_what_it_leads_to(self):
        assert PLANT.why_not("::ffff:10.20.0.1") is None
        assert Networks().why_not("::ffff:127.0.0.1") is None
        assert "(which is 10.0.0.1)" in PLANT.why_not("64:ff9b::10.0.0.1")

    def test_is_not_let_in_by_a_network_of_its_spelling(self):
        assert Networks(allowed=parse(("::ffff:0:0/96",))).why_not("::ffff:10.0.0.1") is not None
