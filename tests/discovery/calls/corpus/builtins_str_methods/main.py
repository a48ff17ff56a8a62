class Name:
    def __str__(self):
        return "n"

    def __format__(self, spec):
        return "n"


"{0:>3}".format(Name())
f"{Name():>3}"
print(Name())
", ".join(str(n) for n in [Name()])
