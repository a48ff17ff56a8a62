import asyncio


class Ticker:
    def __aiter__(self):
        return self

    async def __anext__(self):
        raise StopAsyncIteration


async def source():
    yield one


def one():
    pass


async def main():
    async for _ in Ticker():
        pass
    async for f in source():
        f()


asyncio.run(main())
