# also: main.main -> main.work
# seen: main -> main.work
# also: main.main -> main.helper
# seen: main -> main.helper
import asyncio


async def work(f):
    return f


def one():
    pass


async def main():
    task = asyncio.create_task(work(one))
    f = await task
    f()
    results = await asyncio.wait_for(helper(), 1)
    results()


async def helper():
    return one


asyncio.run(main())
