"""What lasts: tables, migrations, the journal and the trace reader."""
