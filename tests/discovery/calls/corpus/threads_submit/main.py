# also: main -> main.work
# also: main -> main.each
from concurrent.futures import ThreadPoolExecutor


def work(f):
    return f


def one():
    pass


def each(value):
    pass


with ThreadPoolExecutor(1) as pool:
    pool.submit(work, one).result()()
    list(pool.map(each, [1]))
