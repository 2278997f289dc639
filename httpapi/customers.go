package httpapi

// customerRoutes are the operations of customers.
func (a *api) customerRoutes(*router) {}
