from contextlib import closing


class File:
    def close(self):
        pass

    def read(self):
        pass


with closing(File()) as file:
    file.read()
