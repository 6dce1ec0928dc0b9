"""Records on disk: run folders of plain files, and one database that knows them all."""
