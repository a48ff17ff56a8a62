# also: main -> main.read
# seen: main.grep -> main.read
def read():
    for line in ["a"]:
        yield clean(line)


def clean(line):
    return line


def grep(lines):
    for line in lines:
        if match(line):
            yield line


def match(line):
    return True


for line in grep(read()):
    print(line)
