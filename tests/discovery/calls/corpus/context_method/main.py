from contextlib import contextmanager


class Store:
    @contextmanager
    def session(self):
        yield self

    def save(self):
        pass


with Store().session() as store:
    store.save()
