class Box:
    def __len__(self):
        return 1

    def __str__(self):
        return "box"

    def __repr__(self):
        return "Box"

    def __hash__(self):
        return 1

    def __bool__(self):
        return True


box = Box()
len(box)
str(box)
repr(box)
hash(box)
bool(box)
f"{box!r}"
"%s" % box
"{}".format(box)
