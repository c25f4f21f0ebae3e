//! Structure, escaping and size of reports.
