from other import make

make()()
