# also: main.main -> main.one
# also: main.main -> main.two
# seen: main -> main.one
# seen: main -> main.two
import asyncio


async def one():
    helper()


async def two():
    pass


def helper():
    pass


async def main():
    await asyncio.gather(one(), asyncio.create_task(two()))


asyncio.run(main())
