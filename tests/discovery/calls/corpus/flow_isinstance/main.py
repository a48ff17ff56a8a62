class Cat:
    def speak(self):
        pass


class Dog:
    def bark(self):
        pass


def talk(animal):
    if isinstance(animal, Cat):
        animal.speak()
    else:
        animal.bark()


talk(Cat())
talk(Dog())
