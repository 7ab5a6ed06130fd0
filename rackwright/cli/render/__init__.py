"""What commands show, beyond a few lines: text, tables, pages of HTML, plots."""
