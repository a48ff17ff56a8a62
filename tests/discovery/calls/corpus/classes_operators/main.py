class Vector:
    def __add__(self, other):
        return self

    def __rmul__(self, other):
        return self

    def __iadd__(self, other):
        return self

    def __neg__(self):
        return self

    def __eq__(self, other):
        return True

    def __lt__(self, other):
        return True

    def __contains__(self, item):
        return True

    def __matmul__(self, other):
        return self


v = Vector()
v + v
2 * v
v += v
-v
v == v
v < v
v > v
1 in v
v @ v
v != v
