from daskclass.commands.cli import main

main()
