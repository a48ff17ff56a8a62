class Node:
    def __init__(self, parent=None):
        self.parent = parent

    def root(self):
        node = self
        while node.parent is not None:
            node = node.parent
        return node

    def show(self):
        pass


Node(Node()).root().show()
