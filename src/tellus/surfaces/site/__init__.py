"""What is not the API: pages, health, metrics. ``web.build_site`` joins them."""
