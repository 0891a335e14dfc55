module webhook

go 1.21

require nexus v0.0.0

replace nexus => ../../guest/go
