"""The database: one room that knows SQL. One module per noun; `database` runs their functions."""
