"""What reading a site of pages needs whoever built it: addresses, robots, sitemaps, pacing, pages as Markdown."""
