class Stack(list):
    def push(self, f):
        self.append(f)


def one():
    pass


stack = Stack()
stack.push(one)
stack[0]()
