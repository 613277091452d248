"""The audit: do files, pixel statistics or duplicates give a test set away?"""
