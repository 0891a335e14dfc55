module nexus

go 1.21
