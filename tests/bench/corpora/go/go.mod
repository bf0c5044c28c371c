module sluice/bench

go 1.23

require (
	github.com/gin-gonic/gin v1.10.1
	github.com/go-chi/chi/v5 v5.2.3
	github.com/spf13/cobra v1.9.1
)
