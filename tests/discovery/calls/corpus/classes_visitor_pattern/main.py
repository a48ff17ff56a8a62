class Number:
    def accept(self, visitor):
        return visitor.visit_number(self)


class Sum:
    def __init__(self, parts):
        self.parts = parts

    def accept(self, visitor):
        return visitor.visit_sum(self)


class Printer:
    def visit_number(self, node):
        pass

    def visit_sum(self, node):
        for part in node.parts:
            part.accept(self)


Sum([Number(), Sum([])]).accept(Printer())
