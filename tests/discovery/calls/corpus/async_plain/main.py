import asyncio


async def one():
    return two


def two():
    pass


async def main():
    f = await one()
    f()


asyncio.run(main())
