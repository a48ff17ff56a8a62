class Cat:
    def speak(self):
        pass


class Dog:
    def speak(self):
        pass


def make(kind):
    return {"cat": Cat, "dog": Dog}[kind]()


make("dog").speak()
