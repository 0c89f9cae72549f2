"""What can I type, and what runs the class? No lab imports it, but for the doctor in lab 00."""
