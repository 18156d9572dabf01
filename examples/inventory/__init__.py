"""Two warehouses, a shop, a marketplace and a desk: what can be promised of each product."""
