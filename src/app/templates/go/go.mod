module functions

go 1.21
