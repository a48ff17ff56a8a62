class Node:
    def __init__(self):
        self.children = []

    def add(self, child):
        self.children.append(child)

    def walk(self):
        for child in self.children:
            child.walk()


root = Node()
root.add(Node())
root.walk()
