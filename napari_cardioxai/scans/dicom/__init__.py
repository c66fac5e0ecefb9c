"""DICOM: headers first, then groups, order in space and time, and pixels last."""
