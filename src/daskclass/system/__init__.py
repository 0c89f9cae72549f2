"""What does the operating system do for us?"""
