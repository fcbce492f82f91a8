"""Certificates of jobs as PDF, evidence bundles, and the audit trail."""
