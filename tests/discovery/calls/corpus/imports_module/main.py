import other

other.work()
