class Visitor:
    def visit(self, kind):
        method = getattr(self, f"visit_{kind}", self.generic)
        method()

    def visit_name(self):
        pass

    def generic(self):
        pass


Visitor().visit("name")
Visitor().visit("call")
