def walk(tree, visit):
    visit(tree)
    for child in tree:
        walk(child, visit)


def show(node):
    pass


walk([[], [[]]], show)
