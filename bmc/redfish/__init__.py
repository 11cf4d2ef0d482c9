"""BMCs that speak Redfish (DMTF DSP0266) over HTTPS."""
