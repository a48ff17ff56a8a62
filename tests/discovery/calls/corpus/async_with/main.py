import asyncio


class Session:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *details):
        self.close()

    def close(self):
        pass

    async def get(self):
        pass


async def main():
    async with Session() as session:
        await session.get()


asyncio.run(main())
