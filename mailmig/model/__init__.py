"""The words of mailmig: frozen values, enums and errors. Imports nothing else of ours."""
