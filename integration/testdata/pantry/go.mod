module pantry.example

go 1.24
