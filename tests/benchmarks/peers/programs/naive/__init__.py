"""The same function as a user writes it with Django: async views and ORM, stock middleware, under Daphne."""
