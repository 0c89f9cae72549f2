from daskclass.cli import main

main()
