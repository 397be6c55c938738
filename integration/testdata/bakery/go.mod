module bakery.example

go 1.24

tool bakery.example/cmd/menu
