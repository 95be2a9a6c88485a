from infosam.cli.app import main

main()
