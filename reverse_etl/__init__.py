"""Make every target equal to the export tables: observe, plan, push, verify. Knows exports, never
whom they are about.
"""
