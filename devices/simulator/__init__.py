"""Machines over real TCP to try the gateway against, without Django and without pymodbus."""
