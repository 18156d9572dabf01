"""What ingestion and reverse_etl both stand on. Imports neither of them."""
