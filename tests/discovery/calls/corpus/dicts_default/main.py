from collections import defaultdict


def one():
    pass


def fresh():
    return []


table = defaultdict(fresh)
table["a"].append(one)
table["a"][0]()
