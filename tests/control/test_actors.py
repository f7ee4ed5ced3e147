"""Who acts is known in the threads that a request uses, and to nothing that goes on after it."""

import asyncio
import contextvars

from asgiref.sync import sync_to_async

from devices.control.actors import Actor, acting, current_actor

ANNA, BOB = Actor(name="user anna", source="10.0.0.7"), Actor(name="user bob")


class TestWhoActs:
    async def test_is_known_in_a_thread_that_is_called(self) -> None:
        with acting(ANNA):
            assert await sync_to_async(current_actor)() == ANNA

    async def test_is_each_his_own_where_several_act_at_once(self) -> None:
        both_in = asyncio.Barrier(2)

        async def act(actor: Actor) -> Actor:
            with acting(actor):
                await both_in.wait()
                return await sync_to_async(current_actor)()

        assert await asyncio.gather(act(ANNA), act(BOB)) == [ANNA, BOB]

    async def test_is_nobody_in_a_task_of_its_own_context(self) -> None:
        with acting(ANNA):
            task = asyncio.create_task(asyncio.to_thread(current_actor), context=contextvars.Context())
            assert (await task).name.startswith("shell ")

    def test_is_forgotten_after_the_block_whatever_happened_in_it(self) -> None:
        before = current_actor()
        with acting(ANNA):
            with acting(BOB):
                assert current_actor() == BOB
            assert current_actor() == ANNA
        assert current_actor() == before

    def test_is_asked_only_when_it_is_told(self) -> None:
        asked = []
        with acting(lambda: asked.append(1) or ANNA):
            assert asked == []
            assert current_actor() == ANNA
        assert asked == [1]
